"""The real parts of the chain tests: an EVM node, the deployed contracts of the exchanges, and our own Solidity."""
