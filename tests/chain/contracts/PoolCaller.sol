// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

interface IPaid {
    function transfer(address to, uint256 amount) external returns (bool);
    function token0() external view returns (address);
    function token1() external view returns (address);
}

interface IPool {
    function mint(address to, int24 lower, int24 upper, uint128 liquidity, bytes calldata data)
        external
        returns (uint256, uint256);
    function burn(int24 lower, int24 upper, uint128 liquidity) external returns (uint256, uint256);
    function swap(address to, bool zeroForOne, int256 amount, uint160 limit, bytes calldata data)
        external
        returns (int256, int256);
}

/// Speaks with v3 pools without a router: it owns the positions, and pays from its own balance whatever a pool asks.
contract PoolCaller {
    function mint(address pool, int24 lower, int24 upper, uint128 liquidity) external returns (uint256, uint256) {
        return IPool(pool).mint(address(this), lower, upper, liquidity, "");
    }

    function burn(address pool, int24 lower, int24 upper, uint128 liquidity) external returns (uint256, uint256) {
        return IPool(pool).burn(lower, upper, liquidity);
    }

    function swap(address pool, bool zeroForOne, int256 amount, uint160 limit) external returns (int256, int256) {
        return IPool(pool).swap(address(this), zeroForOne, amount, limit, "");
    }

    function uniswapV3MintCallback(uint256 owed0, uint256 owed1, bytes calldata) external {
        pay(int256(owed0), int256(owed1));
    }

    function pancakeV3MintCallback(uint256 owed0, uint256 owed1, bytes calldata) external {
        pay(int256(owed0), int256(owed1));
    }

    function uniswapV3SwapCallback(int256 owed0, int256 owed1, bytes calldata) external {
        pay(owed0, owed1);
    }

    function pancakeV3SwapCallback(int256 owed0, int256 owed1, bytes calldata) external {
        pay(owed0, owed1);
    }

    function pay(int256 owed0, int256 owed1) private {
        if (owed0 > 0) IPaid(IPaid(msg.sender).token0()).transfer(msg.sender, uint256(owed0));
        if (owed1 > 0) IPaid(IPaid(msg.sender).token1()).transfer(msg.sender, uint256(owed1));
    }
}
