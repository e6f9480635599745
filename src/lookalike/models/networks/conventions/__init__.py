"""How each project reads images and what it makes of its network's output; each fact with where it stands.

In reading order:

    convention            what is known of a project's way
    torchreid             KaiyangZhou/deep-person-reid
    fast_reid             JDAI-CV/fast-reid
    strong_baseline       michuanhaohao/reid-strong-baseline
    agw                   mangye16/ReID-Survey
    layumi                layumi/Person_reID_baseline_pytorch
    trans_reid            damo-cv/TransReID
    clip_reid             Syliz517/CLIP-ReID
    ibn_net               XingangPan/IBN-Net
    open_metric_learning  OML-Team/open-metric-learning
    every                 all of them by name
"""
