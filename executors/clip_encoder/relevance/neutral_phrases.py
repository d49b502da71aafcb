"""Descriptions of ordinary pictures of all kinds: they show what a model's cosines with any text look like.

Their mean is like no picture in particular; each single one is something that most libraries do not hold.
"""

NEUTRAL_PHRASES = tuple(
    phrase.strip()
    for phrase in """
a polar bear on an ice floe; a helicopter landing on a roof; a ballet dancer; a wedding in a church; a bowl of
ramen soup; a goalkeeper diving for the ball; an astronaut on the moon; a crocodile in a river; a grand piano in a
concert hall; a lighthouse at night; a sailing regatta; a sandcastle on the beach; a bride and groom kissing; a
birthday cake with candles; a supermarket aisle; an underground train arriving; a flock of sheep; a beehive; a
baseball player swinging a bat; a boxing match; a man playing the saxophone; a rocket launch; a coral reef with
tropical fish; sand dunes in the desert; a long wall over green hills; the pyramids of Egypt; a traffic jam in a
big city; a baby asleep in a cradle; a plate of oysters; a cook frying eggs; a carousel at a fair; a snake
swallowing a mouse; a bullfight; a pirate ship; a parachutist jumping out of a plane; a gorilla beating its chest;
a microscope in a laboratory; a bookshop full of books; a climber on a rock face; a waterfall in the jungle; a tank
in a parade; a pizza in the oven; a cow being milked; a golfer on the green; a gymnast on the rings; a cathedral
with stained glass windows; a violin lesson; a goldfish bowl; a cycling race in the mountains; a typewriter; a
Christmas tree with lights; a skateboarder in a half-pipe; a tennis match; a dolphin show; a thunderstorm with
lightning; an owl in a barn; a vineyard in autumn; a judge in a courtroom; a hospital bed; a tailor at a sewing
machine; a lorry full of timber; a bonfire on the shore; a camel rider; a puppet show; a glass of red wine; a heap
of old newspapers; a rainbow over a field; a potter at the wheel; a jar of honey; a bus stop in the rain; a
chimpanzee with a banana; a wrestling ring; a tortoise on a lawn; a bowling alley; a fishmonger; a glider above the
clouds; a cave with stalactites; a fountain pen; a pumpkin lantern; a fencing duel; a log cabin in snow; a printing
press; a hedgehog in leaves; a dentist with a patient; a tug of war; a swan on a lake; a spiral staircase; a
locksmith's workshop; a basket of mushrooms; a roller coaster; a street magician; a herd of buffalo; a marble
statue; a diver beside a wreck; a ticket machine; a bakery window; a chimney sweep; a field of tulips; a suspension
bridge; a nurse with a syringe; a chandelier; an ice hockey game; a peacock; a blacksmith; a cable car; a rowing
boat; an oil rig
""".replace("\n", " ").split(";")
)
