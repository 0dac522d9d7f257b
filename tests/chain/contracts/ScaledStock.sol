// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import "./Coin.sol";

/// A token after ERC-8056: raw balances stand still, and `uiMultiplier` says how many shares a unit is.
contract ScaledStock is Coin {
    uint256 private before = 1e18;
    uint256 private coming = 1e18;
    uint256 public effectiveAt;
    bool public oraclePaused;

    event UIMultiplierUpdated(uint256 oldMultiplier, uint256 newMultiplier, uint256 effectiveAtTimestamp);

    constructor(string memory name_, string memory symbol_, uint8 decimals_) Coin(name_, symbol_, decimals_) {}

    function uiMultiplier() public view returns (uint256) {
        return block.timestamp >= effectiveAt ? coming : before;
    }

    function newUIMultiplier() external view returns (uint256) {
        return coming;
    }

    function balanceOfUI(address account) external view returns (uint256) {
        return balanceOf(account) * uiMultiplier() / 1e18;
    }

    function schedule(uint256 value, uint256 at) external {
        before = uiMultiplier();
        coming = value;
        effectiveAt = at;
        emit UIMultiplierUpdated(before, value, at);
    }

    function setOraclePause(bool paused) external {
        oraclePaused = paused;
    }
}
