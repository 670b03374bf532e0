from gateway.cli.main import main


def test_every_call_prints_a_new_token(capsys):
    assert main(["token"]) == 0
    assert main(["token"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert len(first) == len(second) == 64
    assert first != second
