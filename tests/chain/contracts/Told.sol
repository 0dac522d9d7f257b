// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// Logs whatever it is called with.
contract Told {
    event Call(bytes data);

    fallback() external payable {
        emit Call(msg.data);
    }
}
