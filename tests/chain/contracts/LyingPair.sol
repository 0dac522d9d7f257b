// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// Answers as a Uniswap v2 pair of two tokens would, and names a factory that never made it.
contract LyingPair {
    address public immutable factory;
    address public immutable token0;
    address public immutable token1;

    constructor(address factory_, address token0_, address token1_) {
        (factory, token0, token1) = (factory_, token0_, token1_);
    }

    function getReserves() external view returns (uint112, uint112, uint32) {
        return (1_000_000 ether, 2_000_000 ether, uint32(block.timestamp));
    }
}

/// Uses up all gas of whoever calls it, so that nothing is left for the calls beside.
contract Burner {
    fallback() external payable {
        assembly {
            invalid()
        }
    }
}
