"""All conventions by name."""

from lookalike.models.networks.conventions.agw import AGW
from lookalike.models.networks.conventions.clip_reid import CLIP_REID, CLIP_REID_RN50
from lookalike.models.networks.conventions.convention import Convention
from lookalike.models.networks.conventions.fast_reid import FAST_REID, SBS
from lookalike.models.networks.conventions.ibn_net import IBN_NET
from lookalike.models.networks.conventions.layumi import LAYUMI, LAYUMI_OTHERS, LAYUMI_PCB, LAYUMI_SWIN
from lookalike.models.networks.conventions.open_metric_learning import OML_ALBUMENTATIONS
from lookalike.models.networks.conventions.strong_baseline import STRONG_BASELINE
from lookalike.models.networks.conventions.torchreid import HACNN, PCB, TORCHREID
from lookalike.models.networks.conventions.trans_reid import TRANS_REID

CONVENTIONS: dict[str, Convention] = {
    convention.project: convention
    for convention in (
        *(TORCHREID, HACNN, PCB, FAST_REID, SBS, STRONG_BASELINE, AGW),
        *(LAYUMI, LAYUMI_PCB, LAYUMI_OTHERS, LAYUMI_SWIN),
        *(TRANS_REID, CLIP_REID, CLIP_REID_RN50, IBN_NET, OML_ALBUMENTATIONS),
    )
}
