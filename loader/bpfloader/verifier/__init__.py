"""The figures of the verifier for the programs of an object, a wheel or a module, held against a baseline."""
