import timm
import torch

from layumi_kinds import FtNet, features, renamed
from lookalike.models.networks.efficient import EfficientTrunk


def test_it_pads_as_for_images_of_the_size_of_its_weights() -> None:
    """At 224 pixels B0 is timm's, which pads for the images that come; at 254 x 126 it is another network."""
    torch.manual_seed(0)
    theirs = timm.create_model("tf_efficientnet_b0").eval()
    state = {name.removeprefix("model."): value for name, value in renamed(FtNet(theirs, features, 1280)).items()}
    trunk = EfficientTrunk({name: tuple(value.shape) for name, value in state.items()})
    trunk.load_state_dict({name: state[name] for name in trunk.state_dict()})
    assert trunk.architecture == "efficientnet_b0 of efficientnet_pytorch"
    with torch.no_grad():
        own, other = torch.randn(1, 3, 224, 224), torch.randn(1, 3, 254, 126)
        torch.testing.assert_close(trunk.eval()(own), theirs.forward_features(own), atol=1e-4, rtol=1e-4)
        assert (trunk(other).shape[2:], theirs.forward_features(other).shape[2:]) == ((7, 3), (8, 4))
