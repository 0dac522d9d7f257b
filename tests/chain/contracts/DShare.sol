// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// A token whose balances follow splits through `balancePerShare`, which changes at once and is never announced.
contract DShare {
    string public name;
    string public symbol;
    uint8 public constant decimals = 18;
    uint128 public balancePerShare = 1e18;
    bool public paused;

    mapping(address => uint256) private shares;
    uint256 private totalShares;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event BalancePerShareSet(uint256 balancePerShare);

    constructor(string memory name_, string memory symbol_) {
        name = name_;
        symbol = symbol_;
    }

    function balanceOf(address account) external view returns (uint256) {
        return shares[account] * balancePerShare / 1e18;
    }

    function totalSupply() external view returns (uint256) {
        return totalShares * balancePerShare / 1e18;
    }

    function setBalancePerShare(uint128 value) external {
        balancePerShare = value;
        emit BalancePerShareSet(value);
    }

    function setPause(bool paused_) external {
        paused = paused_;
    }

    function mint(address to, uint256 units) external {
        move(address(0), to, units);
    }

    function burn(address from, uint256 units) external {
        move(from, address(0), units);
    }

    function transfer(address to, uint256 units) external returns (bool) {
        move(msg.sender, to, units);
        return true;
    }

    function move(address from, address to, uint256 units) private {
        require(!paused, "token transfer while paused");
        uint256 moved = units * 1e18 / balancePerShare;
        if (from == address(0)) totalShares += moved;
        else shares[from] -= moved;
        if (to == address(0)) totalShares -= moved;
        else shares[to] += moved;
        emit Transfer(from, to, units);
    }
}
