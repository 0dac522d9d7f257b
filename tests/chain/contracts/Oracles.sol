// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// A price feed with the reading side of Chainlink's AggregatorV3Interface; a test says what it answers.
contract Aggregator {
    uint8 public immutable decimals;
    string public description;
    uint80 private round;
    int256 private answer;
    uint256 private updatedAt;
    uint80 private answeredIn;

    constructor(uint8 decimals_, string memory description_) {
        decimals = decimals_;
        description = description_;
    }

    function set(int256 answer_, uint256 updatedAt_) external {
        say(round + 1, answer_, updatedAt_, round + 1);
    }

    function say(uint80 round_, int256 answer_, uint256 updatedAt_, uint80 answeredIn_) public {
        round = round_;
        answer = answer_;
        updatedAt = updatedAt_;
        answeredIn = answeredIn_;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return (round, answer, updatedAt, updatedAt, answeredIn);
    }
}

/// Prices with the reading side of Pyth's contract; a test says what it answers.
contract PythPrices {
    struct Price {
        int64 price;
        uint64 conf;
        int32 expo;
        uint256 publishTime;
    }

    mapping(bytes32 => Price) private prices;

    function set(bytes32 id, int64 price, uint64 conf, int32 expo, uint256 publishTime) external {
        prices[id] = Price(price, conf, expo, publishTime);
    }

    function getPriceUnsafe(bytes32 id) external view returns (Price memory) {
        require(prices[id].publishTime != 0, "price feed not found");
        return prices[id];
    }
}
