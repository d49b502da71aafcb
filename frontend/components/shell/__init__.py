"""What every page has.

`language.py` and `visitor.py` say who is looking, `visitor_basket.py` is the basket of that visitor.
`errors.py` shows what failed, `banners.py` the state of the service.
"""
