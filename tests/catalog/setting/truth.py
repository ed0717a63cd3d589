"""Real places of which it is certain whether one walks or drives to a shop there.

Positions are those of the place itself, to a few hundred metres. `SEEN` were looked at while the
line was drawn; `UNSEEN` were written down afterwards and moved nothing.
"""

from __future__ import annotations

CITY, COUNTRY = "city", "countryside"
Rows = dict[str, tuple[float, float, str]]  # latitude, longitude, what it is

SEEN: Rows = {
    "Paris, rue de Rivoli": (48.8583, 2.3470, CITY),
    "Lyon, Bellecour": (45.7578, 4.8320, CITY),
    "Newport, Commercial Street": (51.5860, -2.9960, CITY),
    "Ruggell, in the plain": (47.2380, 9.5260, COUNTRY),
    "Triesenberg, mountain village": (47.1180, 9.5430, COUNTRY),
    "IKEA Orleans, in a wood": (47.8214, 1.9130, COUNTRY),
    "Gordes": (43.9112, 5.2003, COUNTRY),
    "London, Brixton": (51.4613, -0.1156, CITY),
    "Tebay services, M6": (54.4480, -2.6080, COUNTRY),
    "Sark, an island": (49.4330, -2.3610, COUNTRY),
    "Tokyo, Shinjuku": (35.6896, 139.7006, CITY),
    "Shirakawa-go": (36.2578, 136.9066, COUNTRY),
    "New York, Times Square": (40.7580, -73.9855, CITY),
    "Woodstock, Vermont": (43.6242, -72.5185, COUNTRY),
    "Mumbai, Dadar": (19.0178, 72.8478, CITY),
    "Sao Paulo, Paulista": (-23.5614, -46.6559, CITY),
    "Lagos, Surulere": (6.4969, 3.3580, CITY),
    "Coober Pedy": (-29.0135, 134.7544, COUNTRY),
    "Albarracin": (40.4077, -1.4444, COUNTRY),
    "Irschenberg services, A8": (47.8300, 11.9160, COUNTRY),
    "Annecy, old town": (45.8990, 6.1260, CITY),
    "Nice, promenade": (43.6950, 7.2650, CITY),
    "Bastia, between sea and hill": (42.7000, 9.4500, CITY),
    "Bath": (51.3820, -2.3600, CITY),
    "Ouessant, an island": (46.4560, -5.0960, COUNTRY),
    "Mont Saint-Michel": (48.6360, -1.5110, COUNTRY),
    "Val d'Isere": (45.4480, 6.9800, COUNTRY),
    "Leigh Delamere services, M4": (51.5120, -2.1630, COUNTRY),
    "Clovelly": (50.9980, -4.4000, COUNTRY),
    "Trafford Centre": (53.4670, -2.3480, COUNTRY),
    "Cadiz, sea on three sides": (36.5290, -6.2950, CITY),
    "Barceloneta, at the beach": (41.3790, 2.1900, CITY),
    "Ceuta, across a border and a sea": (35.8890, -5.3160, CITY),
    "Kathmandu, Thamel": (27.7150, 85.3110, CITY),
    "Wellington, Cuba Street": (-41.2930, 174.7750, CITY),
    "Havana": (23.1370, -82.3590, CITY),
    "Quartzsite, Arizona": (33.6640, -114.2290, COUNTRY),
    "Geiranger": (62.1010, 7.2060, COUNTRY),
    "Maasai Mara": (-1.4900, 35.1430, COUNTRY),
    "Lake Tekapo": (-44.0050, 170.4790, COUNTRY),
}
UNSEEN: Rows = {
    "Rennes, town hall": (48.1113, -1.6800, CITY),
    "Marseille, Vieux-Port": (43.2955, 5.3740, CITY),
    "Roubaix, Grand-Place": (50.6915, 3.1745, CITY),
    "Aix, Cours Mirabeau": (43.5263, 5.4474, CITY),
    "Leeds, Briggate": (53.7970, -1.5420, CITY),
    "Saint-Emilion": (44.8945, -0.1555, COUNTRY),
    "Vezelay": (47.4660, 3.7480, COUNTRY),
    "Village Catalan services, A9": (42.5700, 2.8300, COUNTRY),
    "Castleton, Peak District": (53.3430, -1.7780, COUNTRY),
    "Lindisfarne, an island at high tide": (55.6800, -1.8030, COUNTRY),
    "Fukuoka, Tenjin": (33.5900, 130.3990, CITY),
    "Denver, Larimer Square": (39.7477, -104.9993, CITY),
    "Hyderabad, Abids": (17.3920, 78.4760, CITY),
    "Recife, at the beach": (-8.1200, -34.9000, CITY),
    "Leipzig, Markt": (51.3406, 12.3747, CITY),
    "Zahara de la Sierra": (36.8400, -5.3900, COUNTRY),
    "Positano": (40.6280, 14.4850, COUNTRY),
    "Barrow Creek roadhouse": (-21.5310, 133.8890, COUNTRY),
    "Murren": (46.5590, 7.8920, COUNTRY),
    "Yamdrok lake, Tibet": (28.9500, 90.6800, COUNTRY),
}

# The one that is wrong: a mall among car parks and canals, with Manchester, Salford and Stretford
# around it. Places are discs to the packaged table; it cannot see a hole in one.
WRONG = {"Trafford Centre"}

# Offices, airports, malls and services inside a city's disc: nobody sleeps there, the table says
# city. For offices that is right, for the others a store writes `setting: countryside`.
OFFICES: Rows = {
    "La Defense": (48.8917, 2.2375, CITY),
    "London, Bank": (51.5134, -0.0890, CITY),
    "New York, Wall Street": (40.7060, -74.0090, CITY),
}
HOLES: Rows = {
    "Haneda airport": (35.5490, 139.7800, COUNTRY),
    "New York, JFK": (40.6410, -73.7780, COUNTRY),
    "Meadowhall, Sheffield": (53.4140, -1.4120, COUNTRY),
    "Keele services, M6": (52.9940, -2.2890, COUNTRY),
    "Spytty retail park, Newport": (51.5760, -2.9540, COUNTRY),
}
OUTSIDE: Rows = {
    "Charles-de-Gaulle airport": (49.0040, 2.5710, COUNTRY),
    "Narita airport": (35.7720, 140.3930, COUNTRY),
    "Heathrow, terminal 5": (51.4720, -0.4890, COUNTRY),
    "IKEA Clermont-Ferrand": (45.8041, 3.1394, COUNTRY),
    "Bluewater": (51.4390, 0.2710, COUNTRY),
}
BORDERS: Rows = {
    "Monaco": (43.7393, 7.4277, CITY),
    "Gibraltar": (36.1400, -5.3535, CITY),
    "Geneva, Paquis": (46.2110, 6.1470, CITY),
    "Strasbourg": (48.5830, 7.7450, CITY),
    "Macau": (22.1935, 113.5398, CITY),
}
