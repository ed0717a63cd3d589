"""Constants and conversions, each with its unit, its source, and what breaks when it is wrong."""

# Time. Inside the engine a time is an integer count of milliseconds since the Unix epoch.
SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

# The Earth: WGS 84, the ellipsoid of GPS (NIMA TR8350.2). A wrong axis scales every distance.
WGS84_A_M = 6_378_137.0
WGS84_F = 1 / 298.257223563
WGS84_E2 = WGS84_F * (2 - WGS84_F)

# Accuracy. Android's Location.getAccuracy is the radius that holds the truth 68 % of the time.
# For a circular normal error that radius is 1.5096 sigma per axis (Rayleigh quantile of 0.68).
# Too small a divisor makes honest fixes look coarse: nobody enters a small zone any more.
ACCURACY_PER_SIGMA = 1.5096
ACCURACY_MIN_M = 3.0  # phones that claim less are over-confident; below it one fix always decides
ACCURACY_MISSING_M = 30.0  # what a fix without accuracy is taken for
ACCURACY_MAX_M = (
    1_000.0  # a fix coarser than this says nothing of a shop and is rejected at the door
)
COARSE_SIGMAS = 2.0  # below R = 2 sigma even the centre is inside with only 87 %

# The way between two fixes of a device. A longer one says nothing of what it passed. The degree, of
# latitude and rough, only sorts out which ways need not be asked about.
DEGREE_M = 111_320.0
SEGMENT_MAX_M = 10_000.0

# An impossible speed, metres per second (250 km/h): faster than any road, slower than GPS jumps.
SPEED_MAX_MPS = 70.0
SUSPECTS_TO_RESET = 3  # so many impossible fixes in a row and the track starts anew

# A phone clock may run ahead of ours by this much before its time is refused.
CLOCK_AHEAD_MS = 120_000
FIX_TIME_MIN_MS = 1_262_304_000_000  # 2010-01-01: older is a clock that was never set


def sigma_m(accuracy_m: float) -> float:
    """Standard deviation along one axis, in metres, of a fix with this reported accuracy.

    >>> round(sigma_m(15.096), 3)
    10.0
    """
    return max(accuracy_m, ACCURACY_MIN_M) / ACCURACY_PER_SIGMA
