"""Which scenes of Places365 are inside buildings or vehicles.

The list is that of the data set's authors, all with a 1 in
https://github.com/CSAILVision/places365/blob/master/IO_places365.txt but ``swimming_hole``. Global
Streetscapes gives a scene for each photo, some without what comes after the slash: such a name
counts as indoors only if all scenes of the name are.
"""

from __future__ import annotations

_INDOOR = """
airplane_cabin airport_terminal alcove amusement_arcade aquarium arcade archive arena/hockey
arena/performance arena/rodeo art_gallery art_school art_studio artists_loft assembly_line
atrium/public attic auditorium auto_factory auto_showroom bakery/shop ball_pit ballroom bank_vault
banquet_hall bar basement basketball_court/indoor bathroom bazaar/indoor beauty_salon bedchamber
bedroom beer_hall berth biology_laboratory bookstore booth/indoor bow_window/indoor bowling_alley
boxing_ring burial_chamber bus_interior bus_station/indoor butchers_shop cafeteria candy_store
car_interior catacomb chemistry_lab childs_room church/indoor classroom clean_room closet
clothing_store cockpit coffee_shop computer_room conference_center conference_room corridor
delicatessen department_store dining_hall dining_room discotheque dorm_room dressing_room drugstore
elevator/door elevator_lobby elevator_shaft engine_room entrance_hall escalator/indoor fabric_store
fastfood_restaurant flea_market/indoor florist_shop/indoor food_court galley garage/indoor
general_store/indoor gift_shop greenhouse/indoor gymnasium/indoor hangar/indoor hardware_store
home_office home_theater hospital_room hotel_room ice_cream_parlor ice_skating_rink/indoor
jacuzzi/indoor jail_cell jewelry_shop kindergarden_classroom kitchen laundromat lecture_room
legislative_chamber library/indoor living_room lobby locker_room market/indoor martial_arts_gym
mezzanine movie_theater/indoor museum/indoor music_studio natural_history_museum nursery
nursing_home office office_cubicles operating_room orchestra_pit pantry parking_garage/indoor
pet_shop pharmacy physics_laboratory pizzeria playroom pub/indoor reception recreation_room
repair_shop restaurant restaurant_kitchen sauna science_museum server_room shoe_shop
shopping_mall/indoor shower stable stage/indoor staircase storage_room subway_station/platform
supermarket sushi_bar swimming_pool/indoor television_room television_studio throne_room
ticket_booth toyshop train_interior train_station/platform utility_room veterinarians_office
waiting_room wet_bar youth_hostel
"""
_ALSO_OUTDOORS = frozenset(
    "basketball_court bazaar church garage general_store greenhouse hangar ice_skating_rink "
    "library market museum parking_garage stage swimming_pool".split()
)

INDOOR_SCENES = frozenset(_INDOOR.split()) | (
    {name.split("/")[0] for name in _INDOOR.split()} - _ALSO_OUTDOORS
)
"""Names of scenes that show no street."""
