"""The commands, one module each: `build_parser(prog, text)` and `run(args, console) -> exit code`.

`readiness.__main__` imports only the module of the command that was typed, so a module may import
at its top whatever the command needs.
"""
