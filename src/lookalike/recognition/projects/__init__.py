"""What projects do with their networks that no checkpoint says: one table a project, each fact with its source.

In reading order:

    project                  what such a table holds
    fast_reid                fast-reid's config.yaml
    lookalike                lookalike's own weights without their settings
    open_metric_learning     open-metric-learning
    pytorch_metric_learning  the examples of pytorch-metric-learning
    timm                     timm's train.py and hub
    hugging_face             folders of transformers
    torchvision              torchvision's training script
    clip                     CLIP of OpenAI and open_clip
    unknown                  where the file does not show its project
    tables                   all of them
"""
