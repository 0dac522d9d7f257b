// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import "./ScaledStock.sol";

/// A stock token that turns bad while it is held: a fee on every transfer, a pause, a list of who may not move it,
/// allowances that come out otherwise, and decimals and symbol that change.
contract HostileStock is ScaledStock {
    uint256 public feeBps;
    bool public paused;
    mapping(address => bool) public blocked;
    /// By how much an allowance is smaller than it was given.
    uint256 public short;
    /// An allowance once given does not end.
    bool public stubborn;
    uint8 private shown;
    string private called;

    constructor(string memory name_, string memory symbol_, uint8 decimals_) ScaledStock(name_, symbol_, decimals_) {
        shown = decimals_;
        called = symbol_;
    }

    function decimals() public view override returns (uint8) {
        return shown;
    }

    function symbol() public view override returns (string memory) {
        return called;
    }

    function remap(string calldata symbol_, uint8 decimals_) external {
        called = symbol_;
        shown = decimals_;
    }

    function setFee(uint256 bps) external {
        feeBps = bps;
    }

    function setPause(bool paused_) external {
        paused = paused_;
    }

    function setBlocked(address account, bool blocked_) external {
        blocked[account] = blocked_;
    }

    function setAllowances(uint256 short_, bool stubborn_) external {
        short = short_;
        stubborn = stubborn_;
    }

    function approve(address spender, uint256 value) public override returns (bool) {
        return value == 0 && stubborn ? true : super.approve(spender, value);
    }

    function allowance(address owner, address spender) public view override returns (uint256) {
        uint256 given = super.allowance(owner, spender);
        return given < short ? 0 : given - short;
    }

    function _update(address from, address to, uint256 value) internal override {
        require(!paused, "token transfer while paused");
        require(!blocked[from] && !blocked[to], "address blocked");
        uint256 fee = from == address(0) || to == address(0) ? 0 : value * feeBps / 10_000;
        super._update(from, to, value - fee);
        if (fee > 0) super._update(from, address(this), fee);
    }
}

/// A proxy (EIP-1967) whose implementation a test exchanges.
contract UpgradeableProxy {
    bytes32 private constant SLOT = bytes32(uint256(keccak256("eip1967.proxy.implementation")) - 1);

    constructor(address implementation) {
        upgrade(implementation);
    }

    function upgrade(address implementation) public {
        bytes32 slot = SLOT;
        assembly {
            sstore(slot, implementation)
        }
    }

    fallback() external payable {
        bytes32 slot = SLOT;
        assembly {
            calldatacopy(0, 0, calldatasize())
            let done := delegatecall(gas(), sload(slot), 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            if iszero(done) { revert(0, returndatasize()) }
            return(0, returndatasize())
        }
    }
}
