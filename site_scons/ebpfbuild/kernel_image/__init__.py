"""Finds the BTF in whatever holds a kernel: a blob, an ELF file, a boot image, a module, a distribution's package."""
