"""The rules of Flight SQL as cases: each is asked of a running server over plain gRPC."""
