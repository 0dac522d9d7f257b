// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// Puts the pool's own bytecode on the chain when the factory asks; the package has that bytecode, but no deployer.
contract PancakePoolDeployer {
    struct Parameters {
        address factory;
        address token0;
        address token1;
        uint24 fee;
        int24 tickSpacing;
    }

    Parameters public parameters;
    bytes private code;

    constructor(bytes memory code_) {
        code = code_;
    }

    function deploy(address factory, address token0, address token1, uint24 fee, int24 tickSpacing)
        external
        returns (address pool)
    {
        parameters = Parameters(factory, token0, token1, fee, tickSpacing);
        bytes memory creation = code;
        assembly {
            pool := create(0, add(creation, 32), mload(creation))
        }
        require(pool != address(0), "the pool was not created");
        delete parameters;
    }
}
