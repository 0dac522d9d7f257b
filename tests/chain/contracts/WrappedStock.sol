// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

/// An ERC-4626 vault around a rebasing stock token: its balances stand still, and a unit is worth what it pays out.
contract WrappedStock is ERC4626 {
    bool public isPaused;

    constructor(IERC20 asset_, string memory name_, string memory symbol_) ERC20(name_, symbol_) ERC4626(asset_) {}

    function setPause(bool paused) external {
        isPaused = paused;
    }

    function _update(address from, address to, uint256 value) internal override {
        require(!isPaused, "token transfer while paused");
        super._update(from, to, value);
    }
}
