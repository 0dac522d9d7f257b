"""The instruments that a config names, numbered; what the config leaves out is taken from the token registry."""

from __future__ import annotations

from typing import Any

from bot.config import Config
from bot.tape_universe import registered
from connectors.instruments import Hours, Instrument, Role, UnitModel, Universe


def universe_of(config: Config) -> Universe:
    """Instruments in the order of the file. Raises RegistryError where two share a name."""
    found = []
    for name, table in config.instruments.items():
        venue, _, symbol = name.partition(":")
        role = Role[table.role.upper()]
        known: dict[str, Any] = registered(table.token, table.issuer, table.chain) if role is Role.TOKEN else {}
        model = table.unit_model or known.get("unit_model")
        found.append(
            Instrument(
                venue=venue,
                symbol=symbol,
                role=role,
                underlying=table.underlying or str(known.get("underlying", "")),
                token=table.token,
                issuer=table.issuer or str(known.get("issuer", "")),
                chain=table.chain or str(known.get("chain", "")),
                contract=str(known.get("contract", "")),
                unit_model=UnitModel(model) if model else None,
                quote=table.quote,
                coin=table.coin,
                multiplier=table.multiplier,
                witness=table.witness,
                hours=Hours(table.hours),
                one_price=table.assumed_half_spread_bps is not None,
            )
        )
    return Universe(tuple(found))
