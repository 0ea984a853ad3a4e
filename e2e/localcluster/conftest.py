"""Makes the fixtures known to the proofs beside it."""

from localcluster.fixtures import bare_cluster, three_nodes

__all__ = ["bare_cluster", "three_nodes"]
