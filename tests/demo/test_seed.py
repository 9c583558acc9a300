"""The demo's data are made once: another start keeps what people have changed."""

from pathlib import Path

from demo.seed import SERVICES, seed
from gateways.models import Gateway, GatewayCluster
from products.models import ApiService, Product, ProductService, Route

UPSTREAMS = {
    name: f"http://127.0.0.1:{9000 + number}"
    for number, (_service, name, _path, _methods) in enumerate(SERVICES)
}


def linked() -> set[str]:
    return set(
        ProductService.objects.filter(product__name="Payment API").values_list("service__name", flat=True)
    )


def test_what_was_unlinked_taken_away_or_deleted_stays_so_and_addresses_are_those_of_this_start(
    db: None, tmp_path: Path
) -> None:
    first = seed(upstreams=UPSTREAMS, state=tmp_path)
    assert linked() == {"Billing Service", "Invoice Service", "Refund Service"}
    ProductService.objects.filter(product__name="Payment API", service__name="Refund Service").delete()
    Route.objects.filter(service__name="Invoice Service").delete()
    GatewayCluster.objects.filter(gateway__name="stage-gateway").delete()
    before = Product.objects.count(), Gateway.objects.count(), ApiService.objects.count()

    again = seed(upstreams=UPSTREAMS | {"billing": "http://127.0.0.1:9999"}, state=tmp_path)
    assert again == first
    assert linked() == {"Billing Service", "Invoice Service"}
    assert not Route.objects.filter(service__name="Invoice Service").exists()
    assert not GatewayCluster.objects.filter(gateway__name="stage-gateway").exists()
    assert (Product.objects.count(), Gateway.objects.count(), ApiService.objects.count()) == before
    assert ApiService.objects.get(name="Billing Service").upstream_port == 9999


def test_other_versions_under_the_seeds_names_do_not_keep_the_demo_from_starting(
    db: None, tmp_path: Path
) -> None:
    first = seed(upstreams=UPSTREAMS, state=tmp_path)
    for product in Product.objects.all():
        Product.objects.create(tenant=product.tenant, name=product.name, version="99")
    assert seed(upstreams=UPSTREAMS, state=tmp_path) == first
