"""Where bytes are kept, by digest: on this machine, in folders that machines share, in buckets."""
