"""An object in the kernel: opened, loaded, attached; its collections of maps, programs and variables."""
