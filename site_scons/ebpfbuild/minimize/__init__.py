"""The minimizer: a vmlinux.h with only what a program uses. Pure; `modes.minimize` is its front door."""
