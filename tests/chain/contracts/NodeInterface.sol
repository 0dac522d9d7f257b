// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// What publishing adds to the gas of a transaction, as nodes of Arbitrum chains tell it.
contract NodeInterface {
    uint64 private gas_;

    function set(uint64 value) external {
        gas_ = value;
    }

    function gasEstimateL1Component(address, bool, bytes calldata) external payable returns (uint64, uint256, uint256) {
        return (gas_, block.basefee, 1 gwei);
    }
}
