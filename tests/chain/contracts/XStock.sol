// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// A token whose balances are shares times a multiplier, with a change that is announced with its moment, and a pause:
/// the unit model of xStocks. Whoever holds units sees them change at that moment, without any Transfer.
contract XStock {
    string public name;
    string public symbol;
    uint8 public constant decimals = 18;

    uint256 public lastMultiplier = 1e18;
    uint256 public newMultiplier = 1e18;
    uint256 public newMultiplierActivationTime;
    bool public isPaused;

    mapping(address => uint256) public sharesOf;
    mapping(address => mapping(address => uint256)) public allowance;
    uint256 public totalShares;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);
    event MultiplierUpdated(uint256 value);
    event MultiplierScheduled(uint256 newMultiplier, uint256 activationTime);
    event PauseModeChange(bool pauseMode);

    constructor(string memory name_, string memory symbol_) {
        name = name_;
        symbol = symbol_;
    }

    function multiplier() public view returns (uint256) {
        return block.timestamp >= newMultiplierActivationTime ? newMultiplier : lastMultiplier;
    }

    function getCurrentMultiplier() external view returns (uint256, uint256, uint256) {
        return (multiplier(), 0, 0);
    }

    function balanceOf(address account) public view returns (uint256) {
        return sharesOf[account] * multiplier() / 1e18;
    }

    function totalSupply() external view returns (uint256) {
        return totalShares * multiplier() / 1e18;
    }

    function schedule(uint256 value, uint256 activation) external {
        lastMultiplier = multiplier();
        newMultiplier = value;
        newMultiplierActivationTime = activation;
        emit MultiplierScheduled(value, activation);
    }

    function update(uint256 value) external {
        lastMultiplier = newMultiplier = value;
        newMultiplierActivationTime = 0;
        emit MultiplierUpdated(value);
    }

    function setPause(bool paused) external {
        isPaused = paused;
        emit PauseModeChange(paused);
    }

    function mint(address to, uint256 units) external {
        move(address(0), to, units);
    }

    function burn(address from, uint256 units) external {
        move(from, address(0), units);
    }

    function approve(address spender, uint256 units) external returns (bool) {
        allowance[msg.sender][spender] = units;
        emit Approval(msg.sender, spender, units);
        return true;
    }

    function transfer(address to, uint256 units) external returns (bool) {
        move(msg.sender, to, units);
        return true;
    }

    function transferFrom(address from, address to, uint256 units) external returns (bool) {
        allowance[from][msg.sender] -= units;
        move(from, to, units);
        return true;
    }

    function move(address from, address to, uint256 units) private {
        require(!isPaused, "token transfer while paused");
        uint256 shares = units * 1e18 / multiplier();
        if (from == address(0)) totalShares += shares;
        else sharesOf[from] -= shares;
        if (to == address(0)) totalShares -= shares;
        else sharesOf[to] += shares;
        emit Transfer(from, to, units);
    }
}
