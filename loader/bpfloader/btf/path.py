"""The place of the running kernel's BTF, which kernels before 5.4, and those without CONFIG_DEBUG_INFO_BTF, lack."""

KERNEL_BTF = "/sys/kernel/btf/vmlinux"
