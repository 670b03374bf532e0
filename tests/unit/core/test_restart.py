from gateway.core.restart import RestartDelay


def test_the_delay_doubles_from_half_a_second_to_thirty():
    delays = RestartDelay()
    assert [delays.after(0) for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_minute_of_service_starts_over_and_less_does_not():
    delays = RestartDelay()
    assert [delays.after(served) for served in (0, 0, 59, 60, 0)] == [0.5, 1, 2, 0.5, 1]
