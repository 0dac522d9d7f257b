// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import "./Coin.sol";

/// A total-return token: balances stand still, and what a unit is worth in shares is kept by an oracle.
contract TotalReturnStock is Coin {
    bool public paused;

    constructor(string memory name_, string memory symbol_) Coin(name_, symbol_, 18) {}

    function setPause(bool paused_) external {
        paused = paused_;
    }

    function _update(address from, address to, uint256 value) internal override {
        require(!paused, "token transfer while paused");
        super._update(from, to, value);
    }
}

/// What a unit is worth in shares, by token. A small change holds at once; a large one waits for a pause that is
/// announced, and holds when somebody ends the pause.
contract SyntheticSharesOracle {
    struct Asset {
        uint128 sValue;
        uint128 pendingSValue;
        uint256 lastUpdate;
        uint256 pauseStartTime;
        uint16 allowedDriftBps;
        uint48 driftCooldown;
    }

    mapping(address => Asset) public assetData;

    function set(address token, uint128 value) external {
        assetData[token] = Asset(value, 0, block.timestamp, 0, 100, 1 days);
    }

    function announce(address token, uint128 value, uint256 pauseStart) external {
        assetData[token].pendingSValue = value;
        assetData[token].pauseStartTime = pauseStart;
    }

    function unpause(address token) external {
        Asset storage asset = assetData[token];
        asset.sValue = asset.pendingSValue;
        asset.pendingSValue = 0;
        asset.pauseStartTime = 0;
        asset.lastUpdate = block.timestamp;
    }

    function getSValue(address token) external view returns (uint128, bool) {
        Asset storage asset = assetData[token];
        return (asset.sValue, asset.pauseStartTime != 0 && block.timestamp >= asset.pauseStartTime);
    }
}
