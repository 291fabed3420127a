"""Test vectors for implementations of the samplers in any language, and what checks a program against them.

`seeds-conformance` is the command; the book's chapter "For implementers" has conventions and protocol.
"""
