"""What mint_redeem stands on: a token at its venue and its issuer's door, priced at a moment."""
