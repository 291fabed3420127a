"""The emitter: sympy derives a method, and here it becomes numbers in any language.

`program` is straight-line code as data, `lower` makes it of sympy expressions, `step` of a tableau, and
`method` adds what a reader of the code wants to know. A `writer` prints it, one short module a language.
"""
