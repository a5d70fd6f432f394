//! Changes on their way through a cluster.
