"""Follows constants through a program: which instructions the kernel's verifier gets to, and which are dead."""
