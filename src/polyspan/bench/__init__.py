"""What a reader costs on this machine: throughput, latency, memory, growth, and peers beside it.

Nothing is imported here, so that a process whose memory is measured holds no more than reading takes.
"""
