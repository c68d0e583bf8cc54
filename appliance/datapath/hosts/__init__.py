"""Where the code of a datapath runs: in this process, or in one that has nothing else.

    LocalHost      threads of this process: tests, benches, the lab
    ProcessHost    a process for each generation of code, forked from a zygote; what both work on lies in an arena

A worker's block says where its rings are and which descriptors they have. These are numbers of the host's, so they are
written anew whenever a worker goes on in another one.
"""
