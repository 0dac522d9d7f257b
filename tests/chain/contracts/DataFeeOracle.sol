// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// What publishing a transaction on the chain below costs, as chains of the OP stack tell it.
contract DataFeeOracle {
    uint256 private wei_;

    function set(uint256 value) external {
        wei_ = value;
    }

    function getL1Fee(bytes calldata) external view returns (uint256) {
        return wei_;
    }
}
