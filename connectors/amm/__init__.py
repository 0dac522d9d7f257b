"""Exact pool maths: what a swap of each pool family would do, in the contract's own integers; pure.

ticks       tick <-> sqrt price
tickmap     which ticks hold liquidity, and where a swap stops
step        one step of a swap between two stops
path        all steps of one direction, summed up, from which quotes are read
quote       what a swap would do
concentrated  the state that v3 and v4 pools share
v2, v3, v4  the families: state, quotes, and what a log does to the state
forks       what differs between deployments, as data
curve       a pool as a cost curve: arcs and depth
"""
