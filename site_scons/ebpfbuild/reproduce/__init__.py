"""Builds a project in two unlike places and compares each output byte for byte."""
