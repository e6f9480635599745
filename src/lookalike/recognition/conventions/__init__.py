"""What projects do with their networks that no checkpoint says: one table a project, each fact with its source.

In reading order:

    convention       what such a table holds
    fast_reid        fast-reid: BoT, AGW, SBS
    torchreid        torchreid
    person_baseline  Person_reID_baseline_pytorch: ft_net, PCB
    timm             timm's train.py and hub
    unknown          where the file does not show its project
    tables           all of them
"""
