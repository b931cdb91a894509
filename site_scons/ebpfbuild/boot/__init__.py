"""Boots kernels in QEMU with a userland of pinned packages, and has programs loaded, attached and run there."""
