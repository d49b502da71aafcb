"""What programs of this machine share: ports, logs, talk to the operator, modules run as a process.

ports.py: free ports. logs.py, talk.py: lines on stderr. audit_log.py: who changed what. private_files.py: who may read
what the service keeps. module_call.py: a module of the executors, run in a process of its own. parent.py: a process
that ends with the one that started it. store_size.py: what the videos take on the disk. sync.py: what a power cut
leaves. changing_files.py: files that are written while they are read.
"""
