"""EVM chains: how they are asked, and what their contracts say."""
