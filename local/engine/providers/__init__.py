"""Stand-ins for the `aws` and `awsx` providers, run by the engine as plugins of its own kind.

Kept free of imports of `pulumi`: a provider process starts with every preview, and the SDK takes a third of a second.
"""
