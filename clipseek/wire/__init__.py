"""What travels between a client and the server's gateway, with protobuf alone.

flow.proto describes the messages, proto_file.py reads it, messages.py has the messages as classes, and
document_messages.py turns documents into messages and back.
"""
