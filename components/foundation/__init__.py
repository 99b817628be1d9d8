"""What everything else stands on: account, IAM statements, tags, the key and the buckets."""
