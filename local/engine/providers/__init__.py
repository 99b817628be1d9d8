"""Stand-ins for the `aws` and `awsx` providers, to which the engine attaches.

https://www.pulumi.com/docs/iac/guides/building-extending/providers/debugging-providers/ has the way how.
"""
